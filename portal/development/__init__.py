"""What ``make run`` starts on one machine; production uses none of it."""
