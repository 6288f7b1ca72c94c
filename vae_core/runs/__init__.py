"""Training runs as processes of their own: a queue per device, their folders, start and stop.

Nothing here but `launch`, once it is a run's turn, imports torch.
"""
