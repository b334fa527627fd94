"""Extensions that real migrations create, in a server of the portal's own and by its role."""

import psycopg
import pytest

from portal.server import embedded_owner, embedded_postgres

pytestmark = pytest.mark.slow


def test_an_ordinary_role_creates_what_real_migrations_often_name(tmp_path):
    server = embedded_postgres.start(tmp_path / "server", fsync=False)
    try:
        with psycopg.connect(embedded_owner.owned(server).url, autocommit=True) as ours:
            for name in ("vector", "uuid-ossp", "pgcrypto", "citext", "pg_trgm"):
                ours.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}"')
            found = ours.execute(
                "SELECT '[1,2]'::vector(2)::text, uuid_generate_v4() <> uuid_nil(),"
                " uuid_generate_v3(uuid_ns_dns(), 'python.org')::text,"
                " length(gen_random_bytes(40)), encode(digest('a', 'sha256'), 'hex')"
            ).fetchone()
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="no crypt"):
                ours.execute("SELECT crypt('a', gen_salt('bf'))")
    finally:
        server.stop()

    assert found == (
        "[1,2]",
        True,
        "6fa459ea-ee8a-3ca4-894e-db77e160355e",
        40,
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    )
