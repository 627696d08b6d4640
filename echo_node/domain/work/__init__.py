"""Work on studies: lifecycle, jobs, commitments, withdrawals."""
