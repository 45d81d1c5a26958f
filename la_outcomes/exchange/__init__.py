"""Results as hospitals and other studies read them: DICOM SEG and SR, PACS, BIDS."""
