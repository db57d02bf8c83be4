from fastapi import APIRouter, Response, status
from leyden.auth import CurrentUser
from leyden.data import CursorDep, CursorPage, DatabaseDep, paginate
from sqlalchemy import select

from tube.answers import BAD_CURSOR, NOT_SIGNED_IN, Answers
from tube.export import ROWS, Format, download
from tube.wallet.ledger import in_ledger_of, send, wallet_of
from tube.wallet.models import Transfer
from tube.wallet.schemas import TransferCreate, TransferRead, WalletRead

router = APIRouter(prefix="/api/wallet", tags=["wallet"])

TO_SEND: Answers = NOT_SIGNED_IN | {
    404: {"description": "There is no such wallet"},
    409: {"description": "There is not enough money, or this reference was used already"},
}
COLUMNS = (
    Transfer.id,
    Transfer.reference,
    Transfer.sender_id,
    Transfer.recipient_id,
    Transfer.amount,
    Transfer.currency,
    Transfer.created_at,
)
HEADERS = {"sender_id": "from", "recipient_id": "to"}


@router.get("", summary="Read your wallet", responses=NOT_SIGNED_IN)
async def read_wallet(database: DatabaseDep, user: CurrentUser) -> WalletRead:
    """Amounts are whole numbers of the currency's smallest unit."""
    return await wallet_of(database, user.id)


@router.get("/transfers", summary="List your transfers", responses=NOT_SIGNED_IN | BAD_CURSOR)
async def list_transfers(database: DatabaseDep, user: CurrentUser, page: CursorDep) -> CursorPage[TransferRead]:
    """What came in and what went out, newest first."""
    wallet = await wallet_of(database, user.id)
    query = select(Transfer).where(in_ledger_of(wallet)).order_by(Transfer.created_at.desc(), Transfer.id.desc())
    async with database.reader() as session:
        return await paginate(session, query, page, into=TransferRead)


@router.get("/transfers/export", summary="Export your transfers", response_class=Response, responses=ROWS)
async def export_transfers(database: DatabaseDep, user: CurrentUser, format: Format = Format.JSONL) -> Response:  # noqa: A002
    """The ledger of your wallet, oldest first and as of one moment."""
    wallet = await wallet_of(database, user.id)
    query = select(*COLUMNS).where(in_ledger_of(wallet)).order_by(Transfer.created_at, Transfer.id)
    return download(database, query, format, name="transfers", into=TransferRead, headers=HEADERS)


@router.post("/transfers", summary="Send money", status_code=status.HTTP_201_CREATED, responses=TO_SEND)
async def create_transfer(order: TransferCreate, database: DatabaseDep, user: CurrentUser) -> TransferRead:
    """Sent again with the same reference, when no answer came, it is answered 409 and not made a second time."""
    return TransferRead.model_validate(await send(database, user, order))
