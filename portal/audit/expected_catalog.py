"""What the database's catalogs must say of the audit trail's tables, and of what reads them."""

CHAIN, HEAD, VIEW = "portal_auditchain", "portal_audithead", "portal_auditevent"
NO_KEY = (
    "The primary key of portal_auditchain is gone, so an event may be there twice: put it back,"
    " then verify again."
)
# What a session that verifies goes by, whatever was set for the database or the role.
PINS = {
    "search_path": "pg_catalog, pg_temp",
    "row_security": "off",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
}
TRIGGERS = {
    CHAIN: {("chain", "A", 7, "portal_audit_chain"), ("keep", "A", 58, "portal_audit_refuse")},
    HEAD: {("guard", "A", 31, "portal_audit_guard_head"), ("keep", "A", 34, "portal_audit_refuse")},
}
COLUMNS = {  # name and type: text, bigint, bytea, boolean
    CHAIN: {("body", 25), ("position", 20), ("digest", 17)},
    HEAD: {("single", 16), ("position", 20), ("digest", 17)},
}
INDEXES = {
    CHAIN: {"portal_auditchain_pkey", "portal_audit_scope", "portal_audit_subject"},
    HEAD: {f"{HEAD}_pkey"},
}
INTERNAL = 12  # the language of functions that are compiled in
# What the proof and the view go through, by number, with the name of the compiled function; numbers
# never change.
FUNCTIONS = {
    31: "byteaout",
    35: "nameout",
    46: "textin",
    47: "textout",
    67: "texteq",
    184: "oideq",
    460: "int8in",
    461: "int8out",
    467: "int8eq",
    470: "int8gt",
    471: "int8le",
    472: "int8ge",
    750: "array_in",
    842: "btint8cmp",
    1150: "timestamptz_in",
    1151: "timestamptz_out",
    1219: "int8inc",
    1236: "int8larger",
    1237: "int8smaller",
    1717: "pg_convert_to",
    1799: "oidout",
    2011: "byteacat",
    2088: "split_part",
    2331: "array_unnest",
    2409: "int8send",
    2413: "byteasend",
    2415: "textsend",
    2952: "uuid_in",
    2953: "uuid_out",
    3535: "string_agg_transfn",
    3536: "string_agg_finalfn",
    3543: "bytea_string_agg_transfn",
    3544: "bytea_string_agg_finalfn",
}
AGGREGATES = {2803: (1219, 0), 3538: (3535, 3536), 3545: (3543, 3544)}
AGGREGATES |= {2115: (1236, 0), 2131: (1237, 0)}
OPERATORS = {
    ("=", 20, 20): 467,
    ("=", 26, 26): 184,
    (">", 20, 20): 470,
    ("<=", 20, 20): 471,
    (">=", 20, 20): 472,
    ("||", 17, 17): 2011,
}
# The view makes them of text as their input functions do; no cast may step between.
SHOWN_TYPES = {20, 1184, 2950}
