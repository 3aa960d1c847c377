"""THE COMMAND LINE: one verb a file in commands/, everything shown by render/. No facts and no changes of its own."""
