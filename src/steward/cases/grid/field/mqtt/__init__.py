"""MQTT: readings as JSON or Sparkplug B, at least once."""
