"""Work that runs elsewhere: what a job does, who runs it, and who watches."""
