CREATE FUNCTION gen_random_uuid() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.gen_random_uuid() $$;
CREATE FUNCTION gen_random_bytes(integer) RETURNS bytea LANGUAGE sql VOLATILE STRICT PARALLEL SAFE
AS $$ SELECT pg_catalog.substring(pg_catalog.string_agg(
  pg_catalog.uuid_send(pg_catalog.gen_random_uuid()), ''), 1, $1)
  FROM pg_catalog.generate_series(0, $1 / 16) $$;
CREATE FUNCTION digest(bytea, text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$ BEGIN
  CASE pg_catalog.lower($2)
    WHEN 'md5' THEN RETURN pg_catalog.decode(pg_catalog.md5($1), 'hex');
    WHEN 'sha224' THEN RETURN pg_catalog.sha224($1);
    WHEN 'sha256' THEN RETURN pg_catalog.sha256($1);
    WHEN 'sha384' THEN RETURN pg_catalog.sha384($1);
    WHEN 'sha512' THEN RETURN pg_catalog.sha512($1);
    ELSE RAISE feature_not_supported USING MESSAGE = 'this server has no ' || $2;
  END CASE;
END $$;
CREATE FUNCTION digest(text, text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT @extschema@.digest(pg_catalog.convert_to($1, 'UTF8'), $2) $$;
CREATE FUNCTION hmac(bytea, bytea, text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT
AS $$ BEGIN RAISE feature_not_supported USING MESSAGE = 'this server has no hmac'; END $$;
CREATE FUNCTION hmac(text, text, text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT
AS $$ BEGIN RAISE feature_not_supported USING MESSAGE = 'this server has no hmac'; END $$;
CREATE FUNCTION crypt(text, text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT
AS $$ BEGIN RAISE feature_not_supported USING MESSAGE = 'this server has no crypt'; END $$;
CREATE FUNCTION gen_salt(text) RETURNS text LANGUAGE plpgsql VOLATILE STRICT
AS $$ BEGIN RAISE feature_not_supported USING MESSAGE = 'this server has no crypt'; END $$;
CREATE FUNCTION gen_salt(text, integer) RETURNS text LANGUAGE plpgsql VOLATILE STRICT
AS $$ BEGIN RAISE feature_not_supported USING MESSAGE = 'this server has no crypt'; END $$;
CREATE FUNCTION encrypt(bytea, bytea, text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT
AS $$ BEGIN RAISE feature_not_supported USING MESSAGE = 'this server has no ciphers'; END $$;
CREATE FUNCTION decrypt(bytea, bytea, text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT
AS $$ BEGIN RAISE feature_not_supported USING MESSAGE = 'this server has no ciphers'; END $$;
CREATE FUNCTION pgp_sym_encrypt(text, text) RETURNS bytea LANGUAGE plpgsql VOLATILE STRICT
AS $$ BEGIN RAISE feature_not_supported USING MESSAGE = 'this server has no ciphers'; END $$;
CREATE FUNCTION pgp_sym_decrypt(bytea, text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT
AS $$ BEGIN RAISE feature_not_supported USING MESSAGE = 'this server has no ciphers'; END $$;
