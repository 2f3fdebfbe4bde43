"""The units of UCUM by their case-sensitive codes: what each is made of. Facts of the UCUM table, version 2.

UCUM is copyright Regenstrief Institute and the UCUM Organization. https://ucum.org/license
"""

from fractions import Fraction

PREFIXES = {
    prefix: Fraction(10) ** exponent
    for prefix, exponent in {
        "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
        "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
    }.items()
}  # fmt: skip
PREFIXES |= {prefix: Fraction(1024) ** n for n, prefix in enumerate(("Ki", "Mi", "Gi", "Ti"), 1)}

METRIC = {
    "m": "", "s": "", "g": "", "rad": "", "K": "", "C": "", "cd": "", "mol": "",
    "[iU]": "", "[IU]": "1 [iU]",
    "sr": "1 rad2", "Hz": "1 s-1", "N": "1 kg.m/s2", "Pa": "1 N/m2", "J": "1 N.m", "W": "1 J/s", "A": "1 C/s",
    "V": "1 J/C", "F": "1 C/V", "Ohm": "1 V/A", "S": "1 Ohm-1", "Wb": "1 V.s", "T": "1 Wb/m2", "H": "1 Wb/A",
    "lm": "1 cd.sr", "lx": "1 lm/m2", "Bq": "1 s-1", "Gy": "1 J/kg", "Sv": "1 J/kg",
    "l": "1 dm3", "L": "1 dm3", "t": "1000 kg", "bar": "100000 Pa", "u": "1.6605402e-24 g",
    "eV": "1.60217733e-19 J", "kat": "1 mol/s", "U": "1 umol/min", "eq": "1 mol", "osm": "1 mol",
    "cal": "4.184 J", "m[Hg]": "133.322 kPa", "m[H2O]": "9.80665 kPa", "dyn": "1 g.cm/s2", "erg": "1 dyn.cm",
    "P": "1 dyn.s/cm2", "St": "1 cm2/s", "Ci": "37000000000 Bq", "R": "0.000258 C/kg", "RAD": "0.01 Gy",
    "REM": "0.01 Sv", "g%": "1 g/dl", "ar": "100 m2",
    "pc": "3.085678e16 m", "[c]": "299792458 m/s", "[h]": "6.6260755e-34 J.s", "[k]": "1.380658e-23 J/K",
    "[eps_0]": "8.854187817e-12 F/m", "[mu_0]": "1 4.[pi].10*-7.N/A2", "[e]": "1.60217733e-19 C",
    "[m_e]": "9.1093897e-28 g", "[m_p]": "1.6726231e-24 g", "[G]": "6.67259e-11 m3.kg-1.s-2",
    "[g]": "9.80665 m/s2", "[ly]": "1 [c].a_j", "gf": "1 g.[g]", "Ky": "1 cm-1", "Gal": "1 cm/s2",
    "Bi": "10 A", "Mx": "1e-8 Wb", "G": "1e-4 T", "Oe": "250 /[pi].A/m", "Gb": "1 Oe.cm", "sb": "1 cd/cm2",
    "Lmb": "1 cd/cm2/[pi]", "ph": "1e-4 lx", "cal_[15]": "4.18580 J", "cal_[20]": "4.18190 J",
    "cal_m": "4.19002 J", "cal_IT": "4.1868 J", "cal_th": "4.184 J", "tex": "1 g/km", "st": "1 m3",
    "mho": "1 S", "bit": "", "By": "8 bit", "Bd": "1 s-1",
}  # fmt: skip
"""Those that take prefixes: value and code of what they are made of; "" for a unit that is made of none."""

OTHERS = {
    "10*": "10 1", "10^": "10 1", "%": "0.01 1", "[ppth]": "0.001 1", "[ppm]": "0.000001 1",
    "[ppb]": "0.000000001 1", "[pi]": "3.1415926535897932384626433832795028841971693993751 1",
    "deg": "1 [pi].rad/180", "'": "1 deg/60", "''": "1 '/60",
    "min": "60 s", "h": "60 min", "d": "24 h", "wk": "7 d", "a_j": "365.25 d", "a": "1 a_j",
    "a_g": "365.2425 d", "mo_j": "30.4375 d", "mo": "1 mo_j", "mo_g": "30.436875 d",
    "[in_i]": "2.54 cm", "[ft_i]": "12 [in_i]", "[yd_i]": "3 [ft_i]", "[mi_i]": "5280 [ft_i]",
    "[gr]": "64.79891 mg", "[lb_av]": "7000 [gr]", "[oz_av]": "437.5 [gr]", "[stone_av]": "14 [lb_av]",
    "[gal_us]": "231 [in_i]3", "[qt_us]": "0.25 [gal_us]", "[pt_us]": "0.5 [qt_us]",
    "[foz_us]": "0.0625 [pt_us]", "[cup_us]": "8 [foz_us]", "[tbs_us]": "0.5 [foz_us]",
    "[tsp_us]": "1 [tbs_us]/3", "[drp]": "0.05 ml",
    "[Cal]": "1 kcal", "[diop]": "1 m-1", "[lbf_av]": "4.4482216152605 N", "[psi]": "1 [lbf_av]/[in_i]2",
    "[pptr]": "1 10*-12", "gon": "0.9 deg", "a_t": "365.24219 d", "mo_s": "29.53059 d",
    "AU": "149597.870691 Mm", "atm": "101325 Pa", "[fth_i]": "6 [ft_i]", "[nmi_i]": "1852 m",
    "[kn_i]": "1 [nmi_i]/h", "[sin_i]": "1 [in_i]2", "[sft_i]": "1 [ft_i]2", "[syd_i]": "1 [yd_i]2",
    "[cin_i]": "1 [in_i]3", "[cft_i]": "1 [ft_i]3", "[cyd_i]": "1 [yd_i]3", "[bf_i]": "144 [in_i]3",
    "[cr_i]": "128 [ft_i]3", "[mil_i]": "1e-3 [in_i]", "[cml_i]": "1 [pi]/4.[mil_i]2", "[hd_i]": "4 [in_i]",
    "[ft_us]": "1200 m/3937", "[yd_us]": "3 [ft_us]", "[in_us]": "1 [ft_us]/12", "[rd_us]": "16.5 [ft_us]",
    "[ch_us]": "4 [rd_us]", "[lk_us]": "1 [ch_us]/100", "[rch_us]": "100 [ft_us]",
    "[rlk_us]": "1 [rch_us]/100", "[fth_us]": "6 [ft_us]", "[fur_us]": "40 [rd_us]", "[mi_us]": "8 [fur_us]",
    "[acr_us]": "160 [rd_us]2", "[srd_us]": "1 [rd_us]2", "[smi_us]": "1 [mi_us]2", "[sct]": "1 [mi_us]2",
    "[twp]": "36 [sct]", "[mil_us]": "1e-3 [in_us]", "[in_br]": "2.539998 cm", "[ft_br]": "12 [in_br]",
    "[rd_br]": "16.5 [ft_br]", "[ch_br]": "4 [rd_br]", "[lk_br]": "1 [ch_br]/100", "[fth_br]": "6 [ft_br]",
    "[pc_br]": "2.5 [ft_br]", "[yd_br]": "3 [ft_br]", "[mi_br]": "5280 [ft_br]", "[nmi_br]": "6080 [ft_br]",
    "[kn_br]": "1 [nmi_br]/h", "[acr_br]": "4840 [yd_br]2", "[bbl_us]": "42 [gal_us]",
    "[gil_us]": "1 [pt_us]/4", "[fdr_us]": "1 [foz_us]/8", "[min_us]": "1 [fdr_us]/60",
    "[crd_us]": "128 [ft_i]3", "[bu_us]": "2150.42 [in_i]3", "[gal_wi]": "1 [bu_us]/8",
    "[pk_us]": "1 [bu_us]/4", "[dqt_us]": "1 [pk_us]/8", "[dpt_us]": "1 [dqt_us]/2", "[foz_m]": "30 mL",
    "[cup_m]": "240 mL", "[tsp_m]": "5 mL", "[tbs_m]": "15 mL", "[gal_br]": "4.54609 l",
    "[pk_br]": "2 [gal_br]", "[bu_br]": "4 [pk_br]", "[qt_br]": "1 [gal_br]/4", "[pt_br]": "1 [qt_br]/2",
    "[gil_br]": "1 [pt_br]/4", "[foz_br]": "1 [gil_br]/5", "[fdr_br]": "1 [foz_br]/8",
    "[min_br]": "1 [fdr_br]/60", "[dr_av]": "1 [oz_av]/16", "[scwt_av]": "100 [lb_av]",
    "[lcwt_av]": "112 [lb_av]", "[ston_av]": "20 [scwt_av]", "[lton_av]": "20 [lcwt_av]",
    "[pwt_tr]": "24 [gr]", "[oz_tr]": "20 [pwt_tr]", "[lb_tr]": "12 [oz_tr]", "[sc_ap]": "20 [gr]",
    "[dr_ap]": "3 [sc_ap]", "[oz_ap]": "8 [dr_ap]", "[lb_ap]": "12 [oz_ap]", "[oz_m]": "28 g",
    "[lne]": "1 [in_i]/12", "[pnt]": "1 [lne]/6", "[pca]": "12 [pnt]", "[pnt_pr]": "0.013837 [in_i]",
    "[pca_pr]": "12 [pnt_pr]", "[pied]": "32.48 cm", "[pouce]": "1 [pied]/12", "[ligne]": "1 [pouce]/12",
    "[didot]": "1 [ligne]/6", "[cicero]": "12 [didot]", "[degR]": "5 K/9", "[Btu_39]": "1.05967 kJ",
    "[Btu_59]": "1.05480 kJ", "[Btu_60]": "1.05468 kJ", "[Btu_m]": "1.05587 kJ",
    "[Btu_IT]": "1.05505585262 kJ", "[Btu_th]": "1.054350 kJ", "[Btu]": "1 [Btu_th]",
    "[HP]": "550 [ft_i].[lbf_av]/s", "[den]": "1 g/9/km", "[in_i'H2O]": "1 m[H2O].[in_i]/m",
    "[in_i'Hg]": "1 m[Hg].[in_i]/m", "[PRU]": "1 mm[Hg].s/ml", "[wood'U]": "1 mm[Hg].min/L",
    "[mesh_i]": "1 /[in_i]", "[Ch]": "1 mm/3", "[MET]": "3.5 mL/min/kg", "[S]": "1 10*-13.s", "Ao": "0.1 nm",
    "b": "100 fm2", "att": "1 kgf/cm2", "circ": "2 [pi].rad", "sph": "4 [pi].sr", "[car_m]": "0.2 g",
    "[car_Au]": "1 /24", "[smoot]": "67 [in_i]",
}  # fmt: skip
"""Those that take no prefixes."""

ARBITRARY = (
    "[arb'U]", "[USP'U]", "[GPL'U]", "[MPL'U]", "[APL'U]", "[beth'U]", "[anti'Xa'U]", "[todd'U]", "[dye'U]",
    "[smgy'U]", "[bdsk'U]", "[ka'U]", "[knk'U]", "[mclg'U]", "[tb'U]", "[CCID_50]", "[TCID_50]", "[EID_50]",
    "[PFU]", "[FFU]", "[CFU]", "[BAU]", "[AU]", "[Amb'a'1'U]", "[PNU]", "[Lf]", "[D'ag'U]", "[FEU]", "[ELU]",
    "[EU]", "[GFR]", "[RFU]", "[hnsf'U]", "[HPF]", "[LPF]", "[pH]",
    "[hp_X]", "[hp_C]", "[hp_M]", "[hp_Q]", "[kp_X]", "[kp_C]", "[kp_M]", "[kp_Q]", "[IR]",
)  # fmt: skip
"""Those that are defined by a procedure: each is comparable with itself alone."""

SPECIAL = (
    "[degRe]", "[p'diop]", "%[slope]", "[hp'_X]", "[hp'_C]", "[hp'_M]", "[hp'_Q]", "[m/s2/Hz^(1/2)]", "bit_s",
)  # fmt: skip
"""Those on a scale that is no ratio, such as a logarithm: comparable with themselves alone."""

METRIC_SPECIAL = (
    "Np", "B", "B[SPL]", "B[V]", "B[mV]", "B[uV]", "B[10.nV]", "B[W]", "B[kW]",
)  # fmt: skip
"""The same, with prefixes: 1 B is 10 dB."""
