-- WhatsApp's id of a customer, who may hide the number. A customer without a number has an empty phone, and the id as
-- phone_key.
ALTER TABLE contacts ADD COLUMN whatsapp_id text;
CREATE INDEX contacts_by_whatsapp_id ON contacts (tenant_id, whatsapp_id) WHERE whatsapp_id IS NOT NULL;
