ALTER TABLE appointments ADD COLUMN calendar_uid text;
ALTER TABLE appointments ADD COLUMN calendar_version text;
UPDATE appointments SET calendar_uid = substr(uid, 1, length(uid) - 17) WHERE uid LIKE '%/________T______Z';
CREATE INDEX appointments_of_calendar ON appointments (tenant_id, calendar_uid) WHERE calendar_uid IS NOT NULL;
