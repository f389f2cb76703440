ALTER TABLE api_tokens ADD COLUMN scope text NOT NULL DEFAULT 'full';
