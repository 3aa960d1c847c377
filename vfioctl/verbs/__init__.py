"""WHAT CAN BE ASKED FOR BY NAME: one static row a verb, and the command behind a row. Runs and shows nothing."""
