"""The board of a run: state, figures, lanes and what happened, made from the run folder by one function.

`board_of` reads a folder into a `Board`, plain values; `lpmkit.board.page` turns it into HTML and `lpmkit.board.text`
into text. The live widget, the saved notebook, the head of the report, the application and the command line show the
same one.
"""
