"""The paper's table, and one's own: run cells of a grid, keep every result, and tabulate."""
