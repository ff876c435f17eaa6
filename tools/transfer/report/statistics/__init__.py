"""Statistics of the report: rank correlations, critical differences and Pareto fronts."""
