"""The chain's rules, in the database: one function appends, and nothing changes what was appended.

The bytes that are hashed are those of the row in PostgreSQL's documented binary COPY format (manual, COPY,
"Binary Format"): the number of fields, then each field as its length in four bytes and its value; a null has
the length -1. So every column counts, no value can slide into its neighbour, and a reader of
`COPY ... (FORMAT binary)` has the hashed bytes in hand without rebuilding them.
"""

from django.db import migrations

RULES = r"""
CREATE FUNCTION portal_audit_field(value bytea) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN value IS NULL THEN '\xffffffff'::bytea ELSE int4send(octet_length(value)) || value END $$;

-- Runs for every INSERT, by whatever path: takes the head, fills in what the chain decides, moves the head.
CREATE FUNCTION portal_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last portal_audithead;
BEGIN
    IF num_nonnulls(NEW.position, NEW.previous, NEW.digest) > 0 THEN
        RAISE EXCEPTION 'The chain itself decides the position and the digests of an audit event.';
    END IF;
    SELECT * INTO STRICT last FROM portal_audithead FOR UPDATE;
    NEW.position := last.position + 1;
    -- Read under the lock, so that time runs with position.
    NEW.at := coalesce(NEW.at, clock_timestamp());
    NEW.previous := last.digest;
    NEW.digest := sha256(
        '\x000f'::bytea
        || portal_audit_field(timestamptz_send(NEW.at))
        || portal_audit_field(convert_to(NEW.action, 'UTF8'))
        || portal_audit_field(convert_to(NEW.outcome, 'UTF8'))
        || portal_audit_field(int8send(NEW.actor_id))
        || portal_audit_field(convert_to(NEW.actor_name, 'UTF8'))
        || portal_audit_field(convert_to(NEW.scope, 'UTF8'))
        || portal_audit_field(convert_to(NEW.subject_kind, 'UTF8'))
        || portal_audit_field(convert_to(NEW.subject_id, 'UTF8'))
        || portal_audit_field(convert_to(NEW.subject_label, 'UTF8'))
        || portal_audit_field(convert_to(NEW.sentence, 'UTF8'))
        || portal_audit_field(convert_to(NEW.data, 'UTF8'))
        || portal_audit_field(uuid_send(NEW."group"))
        || portal_audit_field(int8send(NEW.position))
        || portal_audit_field(NEW.previous));
    UPDATE portal_audithead SET position = NEW.position, digest = NEW.digest;
    RETURN NEW;
END $$;

CREATE FUNCTION portal_audit_append(
    at timestamptz, action text, outcome text, actor_id bigint, actor_name text, scope text,
    subject_kind text, subject_id text, subject_label text, sentence text, data text, "group" uuid
) RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO portal_auditevent (at, action, outcome, actor_id, actor_name, scope,
        subject_kind, subject_id, subject_label, sentence, data, "group")
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING position
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
ALTER TABLE portal_auditevent
    ADD CHECK (octet_length(digest) = 32), ADD CHECK (octet_length(previous) = 32);

CREATE TRIGGER chain BEFORE INSERT ON portal_auditevent FOR EACH ROW EXECUTE FUNCTION portal_audit_chain();
CREATE TRIGGER keep BEFORE UPDATE OR DELETE OR TRUNCATE ON portal_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION portal_audit_refuse();
CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE ON portal_audithead
    FOR EACH ROW EXECUTE FUNCTION portal_audit_guard_head();
CREATE TRIGGER keep BEFORE TRUNCATE ON portal_audithead
    FOR EACH STATEMENT EXECUTE FUNCTION portal_audit_refuse();

-- ALWAYS: also where session_replication_role = replica switches ordinary triggers off.
ALTER TABLE portal_auditevent ENABLE ALWAYS TRIGGER chain, ENABLE ALWAYS TRIGGER keep;
ALTER TABLE portal_audithead ENABLE ALWAYS TRIGGER guard, ENABLE ALWAYS TRIGGER keep;
"""

UNDO = """
DROP TRIGGER chain ON portal_auditevent;
DROP TRIGGER keep ON portal_auditevent;
DROP TRIGGER guard ON portal_audithead;
DROP TRIGGER keep ON portal_audithead;
DROP FUNCTION portal_audit_append, portal_audit_chain(), portal_audit_refuse(), portal_audit_guard_head(),
    portal_audit_field(bytea);
DELETE FROM portal_audithead;
"""


class Migration(migrations.Migration):
    dependencies = [("portal", "0001_initial")]

    operations = [migrations.RunSQL(RULES, UNDO)]
