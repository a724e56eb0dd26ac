"""Is every byte right?"""
