"""The topics of topic-based subscriptions: one per main type of the record.

https://hl7.org/fhir/uv/subscriptions-backport/ (R5's SubscriptionTopic for R4). A topic tells of every
version: of a create or an update when the new version meets the filters, of a delete when the last one did.
"""

TYPES = ("Patient", "DocumentReference", "Communication", "AllergyIntolerance", "Immunization")
PREFIX = "urn:fhirserver:topic:"

TOPICS = {f"{PREFIX}{type}": type for type in TYPES}
"""Canonical URL -> the resource type it is about."""

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
FILTER = f"{BACKPORT}backport-filter-criteria"
CONTENT = f"{BACKPORT}backport-payload-content"
HEARTBEAT = f"{BACKPORT}backport-heartbeat-period"
TIMEOUT = f"{BACKPORT}backport-timeout"
MAX_COUNT = f"{BACKPORT}backport-max-count"
STATUS_PROFILE = f"{BACKPORT}backport-subscription-status-r4"
NOTIFICATION_PROFILE = f"{BACKPORT}backport-subscription-notification-r4"
ADVERTISED = f"{BACKPORT}capabilitystatement-subscriptiontopic-canonical"
WEBSOCKET = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"
