ALTER TABLE qc_reviews ADD COLUMN undoes TIMESTAMP;

ALTER TABLE fazekas_ratings ADD COLUMN rated_at TIMESTAMP;
