ALTER TABLE questions ADD COLUMN wait_us bigint;
CREATE INDEX questions_unsent ON questions (id) WHERE wait_us IS NOT NULL;
