"""The images: built for real, on a stand-in base where no registry can be reached, and run as the
platform would run them.
"""
