"""What the relay of a command is told, and how the command's address and variables change so that
its statements can be read on the wire.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portal.outbound.parsing import JsonObject

_TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_NOT_FOR_THE_COMMAND = {*_TLS, "sslcrl", "sslnegotiation", "channel_binding", "gssencmode"}
_VARIABLES = {f"PG{name.upper()}": name for name in _TLS}


def terms(
    url: str,
    variables: Mapping[str, str],
    *,
    version_table: str,
    allowed: Iterable[str] | None,
    record: bool = True,
) -> JsonObject:
    """Return what the relay needs to know of one run.

    `allowed`: the keys of all that may be sent, None for all. `record`: the relay tells each
    statement; not where the run itself does.
    """
    options = dict(parse_qsl(urlsplit(url).query))
    named = {}
    for variable, name in _VARIABLES.items():
        if value := options.get(name) or variables.get(variable):
            named[name] = value
    certificate, key = _certificate()
    return named | {
        "certificate": certificate,
        "key": key,
        "version_table": version_table,
        "allowed": None if allowed is None else sorted(set(allowed)),
        "record": record,
    }


def for_the_command(request: JsonObject, database_variable: str) -> JsonObject:
    """Return what the command is told, without TLS to the server, which the relay does."""
    kept = {name: value for name, value in request["environ"].items() if name not in _VARIABLES}
    address = {database_variable: _without_tls(kept[database_variable])}
    return {**request, "environ": kept | address | {"PGCHANNELBINDING": "disable"}}


def for_our_own(url: str) -> str:
    """Return the address for our own runner's process, which meets the relay's certificate."""
    bare = _without_tls(url)
    return f"{bare}{'&' if urlsplit(bare).query else '?'}channel_binding=disable"


def _without_tls(url: str) -> str:
    parts = urlsplit(url)
    options = parse_qsl(parts.query, keep_blank_values=True)
    kept = [
        (name, "require" if name == "ssl" and value.startswith("verify") else value)
        for name, value in options
        if name not in _NOT_FOR_THE_COMMAND
    ]
    if kept == options:
        return url
    return urlunsplit(parts._replace(query=urlencode(kept, quote_via=quote)))


def _certificate() -> tuple[str, str]:
    """Return a certificate of our own and its key, as PEM, for one run."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "release-portal")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return made.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()
