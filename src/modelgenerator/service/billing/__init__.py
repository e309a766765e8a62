"""What work costs and who has paid for it, in whole microdollars."""
