CREATE INDEX messages_of_tenant ON messages (tenant_id, id);
CREATE INDEX messages_of_contact_by_time ON messages (contact_id, at_us, id);
DROP INDEX messages_of_contact;
CREATE INDEX events_of_tenant ON events (tenant_id, id);
CREATE INDEX events_of_contact ON events (contact_id, id) WHERE contact_id IS NOT NULL;
CREATE INDEX actions_of_contact ON actions (contact_id, planned_us) WHERE contact_id IS NOT NULL;
CREATE INDEX actions_unfinished ON actions (tenant_id, planned_us)
  WHERE state = 'planned' OR state = 'sending' OR state = 'unknown' OR state = 'held';
CREATE INDEX actions_held ON actions (tenant_id, planned_us) WHERE state = 'held';
CREATE INDEX actions_without_sender ON actions (tenant_id, planned_us)
  WHERE state = 'blocked' AND sender IS NULL AND recipient IS NOT NULL;
