"""SOAP 1.2 messages with WS-Addressing and MTOM: bytes to elements and back. IHE ITI TF-2 Appendix V"""
