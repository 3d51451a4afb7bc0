"""The battery's day: plan, decision, yardsticks, backtest."""
