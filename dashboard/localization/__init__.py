"""The page Localisation: do the masks mark the defects?"""
