// Charts are drawn by the server. This reads the values at a moment out of the table beside a chart.
