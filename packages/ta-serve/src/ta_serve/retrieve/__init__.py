"""Passages of the domain's own documents that ground an answer, with document and lines to cite."""
