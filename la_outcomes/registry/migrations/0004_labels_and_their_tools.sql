ALTER TABLE pseudo_labels ADD COLUMN label_to_wmh_ratio DOUBLE;

ALTER TABLE pseudo_labels ADD COLUMN infarct_source VARCHAR;

ALTER TABLE pseudo_labels ADD COLUMN input_warning VARCHAR;

ALTER TABLE wmh_measurements ADD COLUMN tool_licence VARCHAR;
