"""Benchmarks: ratios of one run, against floors that are as small as can be. Never a test."""
