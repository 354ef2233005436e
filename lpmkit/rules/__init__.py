"""Questions with their answers, and the rules that sort messages of other programs."""
