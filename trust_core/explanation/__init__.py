"""Explanation: class activation maps, overlap, adversarial perturbation, evidence."""
