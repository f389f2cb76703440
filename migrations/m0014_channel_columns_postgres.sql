CREATE FUNCTION last_inbound_from_columns() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO contact_channels (tenant_id, contact_id, channel, last_us)
    SELECT NEW.tenant_id, NEW.id, v.channel, v.last_us
    FROM (VALUES ('sms', NEW.last_sms_us), ('whatsapp', NEW.last_whatsapp_us)) AS v (channel, last_us)
    WHERE v.last_us IS NOT NULL
    ON CONFLICT (tenant_id, contact_id, channel) DO UPDATE SET last_us = excluded.last_us
      WHERE excluded.last_us > contact_channels.last_us; RETURN NULL; END $$;
CREATE TRIGGER contacts_last_inbound AFTER INSERT OR UPDATE OF last_sms_us, last_whatsapp_us ON contacts
  FOR EACH ROW WHEN (NEW.last_sms_us IS NOT NULL OR NEW.last_whatsapp_us IS NOT NULL)
  EXECUTE FUNCTION last_inbound_from_columns();
CREATE FUNCTION last_inbound_to_columns() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.channel = 'sms' THEN
    UPDATE contacts SET last_sms_us = NEW.last_us
      WHERE tenant_id = NEW.tenant_id AND id = NEW.contact_id AND coalesce(last_sms_us, 0) < NEW.last_us; ELSE
    UPDATE contacts SET last_whatsapp_us = NEW.last_us
      WHERE tenant_id = NEW.tenant_id AND id = NEW.contact_id AND coalesce(last_whatsapp_us, 0) < NEW.last_us; END IF; RETURN NULL; END $$;
CREATE TRIGGER contact_channels_last_inbound AFTER INSERT OR UPDATE ON contact_channels
  FOR EACH ROW WHEN (NEW.channel IN ('sms', 'whatsapp'))
  EXECUTE FUNCTION last_inbound_to_columns();
INSERT INTO contact_channels (tenant_id, contact_id, channel, last_us)
  SELECT tenant_id, id, 'sms', last_sms_us FROM contacts WHERE last_sms_us IS NOT NULL
  ON CONFLICT (tenant_id, contact_id, channel) DO UPDATE SET last_us = excluded.last_us
    WHERE excluded.last_us > contact_channels.last_us;
INSERT INTO contact_channels (tenant_id, contact_id, channel, last_us)
  SELECT tenant_id, id, 'whatsapp', last_whatsapp_us FROM contacts WHERE last_whatsapp_us IS NOT NULL
  ON CONFLICT (tenant_id, contact_id, channel) DO UPDATE SET last_us = excluded.last_us
    WHERE excluded.last_us > contact_channels.last_us;
