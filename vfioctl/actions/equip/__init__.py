"""What `enable` puts into a guest's domain so that a card works there, and how `disable` takes it out again."""
