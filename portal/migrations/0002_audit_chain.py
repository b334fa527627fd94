"""The chain and its rules, in the database: one function appends, and nothing changes what was appended.

An event is one text of twelve lines, none of which can hold another. What is hashed is position and digest of the event
before, which are of one size, and the text: so every column counts, and no value can slide into its neighbour.
"""

from django.db import migrations

RULES = r"""
CREATE TABLE portal_auditchain (
    -- Time, action, outcome, actor's number; seven lines of any text; group. U+001E stands between two events.
    body text NOT NULL CHECK (body !~ '\u001e' AND body ~ ('^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\n[^\n]*\n'
        '(done|refused|failed|found)\n\d*\n([^\n]*\n){7}[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')),
    position bigint PRIMARY KEY,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32)
);

-- What it says, line by line. portal.audit_chain.SHOWN holds this to be what pages read.
CREATE VIEW portal_auditevent AS SELECT position,
    pg_catalog.split_part(body, E'\n', 1)::timestamptz AS at,
    pg_catalog.split_part(body, E'\n', 2) AS action,
    pg_catalog.split_part(body, E'\n', 3) AS outcome,
    nullif(pg_catalog.split_part(body, E'\n', 4), '')::bigint AS actor_id,
    pg_catalog.split_part(body, E'\n', 5) AS actor_name,
    pg_catalog.split_part(body, E'\n', 6) AS scope,
    pg_catalog.split_part(body, E'\n', 7) AS subject_kind,
    pg_catalog.split_part(body, E'\n', 8) AS subject_id,
    pg_catalog.split_part(body, E'\n', 9) AS subject_label,
    pg_catalog.split_part(body, E'\n', 10) AS sentence,
    pg_catalog.split_part(body, E'\n', 11) AS data,
    pg_catalog.split_part(body, E'\n', 12)::uuid AS "group",
    digest FROM portal_auditchain;

CREATE INDEX portal_audit_scope ON portal_auditchain (split_part(body, E'\n', 6), position DESC);
CREATE INDEX portal_audit_subject
    ON portal_auditchain (split_part(body, E'\n', 7), split_part(body, E'\n', 8), position DESC);

-- Runs for every INSERT, by whatever path: takes the head, fills in what the chain decides, moves the head.
CREATE FUNCTION portal_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last portal_audithead;
BEGIN
    IF num_nonnulls(NEW.position, NEW.digest) > 0 THEN
        RAISE EXCEPTION 'The chain itself decides the position and the digests of an audit event.';
    END IF;
    SELECT * INTO STRICT last FROM portal_audithead FOR UPDATE;
    NEW.position := last.position + 1;
    IF starts_with(NEW.body, E'\n') THEN  -- no time was given: read under the lock, so that time runs with position
        NEW.body := to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || NEW.body;
    END IF;
    NEW.digest := sha256(int8send(last.position) || last.digest || convert_to(NEW.body, 'UTF8'));
    UPDATE portal_audithead SET position = NEW.position, digest = NEW.digest;
    RETURN NEW;
END $$;

CREATE FUNCTION portal_audit_append(
    at timestamptz, action text, outcome text, actor_id bigint, actor_name text, scope text,
    subject_kind text, subject_id text, subject_label text, sentence text, data text, "group" uuid
) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO portal_auditchain (body) VALUES (array_to_string(ARRAY[
        to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        $2, $3, $4::text, $5, $6, $7, $8, $9, $10, $11, $12::text], E'\n', '')) RETURNING position
$$;

CREATE FUNCTION portal_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Audit events are only ever added, never changed or removed.' USING ERRCODE = '42501';
END $$;

-- The head moves only from within the trigger above (depth 2); a statement of its own is at depth 1.
CREATE FUNCTION portal_audit_guard_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR pg_trigger_depth() < 2 OR NEW.position <> OLD.position + 1 THEN
        RAISE EXCEPTION 'The head of the audit chain is moved only by an added event.' USING ERRCODE = '42501';
    END IF;
    RETURN NEW;
END $$;

-- Names resolve in the portal's own schema whatever a caller's search_path; no append waits for the head for ever.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION portal_audit_append SET search_path = %I, pg_temp', current_schema());
END $$;
ALTER FUNCTION portal_audit_append SET lock_timeout = '3s';
REVOKE ALL ON FUNCTION portal_audit_append FROM PUBLIC;

INSERT INTO portal_audithead (single, position, digest) VALUES (true, 0, decode(repeat('00', 32), 'hex'));
-- The row is updated by every event: leave room, so that the update stays on its page.
ALTER TABLE portal_audithead SET (fillfactor = 10);

CREATE TRIGGER chain BEFORE INSERT ON portal_auditchain FOR EACH ROW EXECUTE FUNCTION portal_audit_chain();
CREATE TRIGGER keep BEFORE UPDATE OR DELETE OR TRUNCATE ON portal_auditchain
    FOR EACH STATEMENT EXECUTE FUNCTION portal_audit_refuse();
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON portal_audithead
    FOR EACH ROW EXECUTE FUNCTION portal_audit_guard_head();
CREATE TRIGGER keep BEFORE TRUNCATE ON portal_audithead
    FOR EACH STATEMENT EXECUTE FUNCTION portal_audit_refuse();

-- ALWAYS: also where session_replication_role = replica switches ordinary triggers off.
ALTER TABLE portal_auditchain ENABLE ALWAYS TRIGGER chain, ENABLE ALWAYS TRIGGER keep;
ALTER TABLE portal_audithead ENABLE ALWAYS TRIGGER guard, ENABLE ALWAYS TRIGGER keep;
"""

UNDO = """
DROP VIEW portal_auditevent;
DROP TABLE portal_auditchain;
DROP TRIGGER guard ON portal_audithead;
DROP TRIGGER keep ON portal_audithead;
DROP FUNCTION portal_audit_append, portal_audit_chain(), portal_audit_refuse(), portal_audit_guard_head();
DELETE FROM portal_audithead;
"""


class Migration(migrations.Migration):
    dependencies = [("portal", "0001_initial")]

    operations = [migrations.RunSQL(RULES, UNDO)]
