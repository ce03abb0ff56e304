"""The network as a task for the pruning loop: calibration rows, repair, fine-tuning."""
