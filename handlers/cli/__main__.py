"""python -m handlers.cli"""

from handlers.cli.command import main

if __name__ == "__main__":
    main()
