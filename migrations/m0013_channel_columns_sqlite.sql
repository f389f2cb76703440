CREATE TRIGGER contacts_last_inbound_added AFTER INSERT ON contacts
  WHEN NEW.last_sms_us IS NOT NULL OR NEW.last_whatsapp_us IS NOT NULL
  BEGIN
    INSERT INTO contact_channels (tenant_id, contact_id, channel, last_us)
      SELECT NEW.tenant_id, NEW.id, v.channel, v.last_us
      FROM (SELECT 'sms' AS channel, NEW.last_sms_us AS last_us UNION ALL SELECT 'whatsapp', NEW.last_whatsapp_us) AS v
      WHERE v.last_us IS NOT NULL
      ON CONFLICT (tenant_id, contact_id, channel) DO UPDATE SET last_us = max(last_us, excluded.last_us); END;
CREATE TRIGGER contacts_last_inbound_changed AFTER UPDATE OF last_sms_us, last_whatsapp_us ON contacts
  WHEN NEW.last_sms_us IS NOT NULL OR NEW.last_whatsapp_us IS NOT NULL
  BEGIN
    INSERT INTO contact_channels (tenant_id, contact_id, channel, last_us)
      SELECT NEW.tenant_id, NEW.id, v.channel, v.last_us
      FROM (SELECT 'sms' AS channel, NEW.last_sms_us AS last_us UNION ALL SELECT 'whatsapp', NEW.last_whatsapp_us) AS v
      WHERE v.last_us IS NOT NULL
      ON CONFLICT (tenant_id, contact_id, channel) DO UPDATE SET last_us = max(last_us, excluded.last_us); END;
