"""Modbus TCP: registers of a meter and an inverter, as a declared table."""
