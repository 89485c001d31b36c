"""N-gram language models for beam search: texts, what is held out, estimation, pruning, ARPA."""
