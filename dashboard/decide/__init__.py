"""Decide: verdict, certificate, line units, and the choice."""
