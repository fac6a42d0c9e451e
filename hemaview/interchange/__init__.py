"""What is exchanged with other systems: DICOM without what says who the patient is."""
