"""The page Localization: do the masks mark the defects?"""
