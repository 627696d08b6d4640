"""Records of studies, instances, drafts and documents, with the transactions that change them."""
