"""Exchange protocols: pure state machines that decide who trains, who sends what to whom, and when."""
