CREATE TABLE contact_channels (
  tenant_id {id} NOT NULL,
  contact_id {id} NOT NULL,
  channel text NOT NULL,
  last_us bigint NOT NULL,
  PRIMARY KEY (tenant_id, contact_id, channel)
) {clustered};
INSERT INTO contact_channels (tenant_id, contact_id, channel, last_us)
  SELECT tenant_id, id, 'sms', last_sms_us FROM contacts WHERE last_sms_us IS NOT NULL;
INSERT INTO contact_channels (tenant_id, contact_id, channel, last_us)
  SELECT tenant_id, id, 'whatsapp', last_whatsapp_us FROM contacts WHERE last_whatsapp_us IS NOT NULL;
