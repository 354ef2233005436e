"""Wording: what people read, in the language they chose.

English is the language of the code. `words` has the texts of a language by key, `phrase_book` translates a sentence by
its English template. A machine's own messages are evidence and stay as they came.
"""
