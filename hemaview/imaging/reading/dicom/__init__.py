"""DICOM: from the headers of many files to the series they form, their geometry and their pixels."""
