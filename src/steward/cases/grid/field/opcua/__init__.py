"""OPC UA: telemetry by subscription, set-points by method, over encrypted and authenticated sessions."""
